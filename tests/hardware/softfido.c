/*
 * A FIDO security key in software, for tests: what ssh-keygen -w, ssh-add -S and ssh-agent -P load in a token's place
 * (OpenSSH PROTOCOL.u2f, "OpenSSH integration"). The names, numbers and layouts below are the interface that
 * sk-api.h of OpenSSH fixes in its version 10, which OpenSSH has had since 9.1.
 *
 * The key handle is the private key itself, in DER: nothing here is secret. The user is always "present" unless the
 * key was made with -O no-touch-required. The counter lives in the file COUNTER_FILE, which the compiler is told.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { API_VERSION = 0x000a0000 };
enum { ALG_ECDSA = 0, ALG_ED25519 = 1 };
enum { FLAG_USER_PRESENT = 0x01, FLAG_USER_VERIFIED = 0x04 };
enum { DONE = 0, ERR_GENERAL = -1, ERR_UNSUPPORTED = -2 };

struct bytes {
	uint8_t *data;
	size_t length;
};

struct sk_enroll_response {
	uint8_t flags;
	struct bytes public_key;
	struct bytes key_handle;
	struct bytes signature;
	struct bytes attestation_cert;
	struct bytes authdata;
};

struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	struct bytes r; /* the whole signature where it is Ed25519 */
	struct bytes s;
};

struct sk_option;
struct sk_resident_key;

static struct bytes
copied(const void *data, size_t length)
{
	struct bytes copy = { malloc(length), length };

	if (copy.data == NULL)
		copy.length = 0;
	else
		memcpy(copy.data, data, length);
	return copy;
}

/* One more than the last time, across processes: ssh-agent starts a new helper for each signature. */
static uint32_t
next_counter(void)
{
	unsigned int counter = 0;
	FILE *file = fopen(COUNTER_FILE, "r");

	if (file != NULL) {
		if (fscanf(file, "%u", &counter) != 1)
			counter = 0;
		fclose(file);
	}
	if ((file = fopen(COUNTER_FILE, "w")) != NULL) {
		fprintf(file, "%u\n", ++counter);
		fclose(file);
	}
	return counter;
}

/* What a token signs (PROTOCOL.u2f, "SSH U2F signatures"); its length. */
static size_t
to_be_signed(uint8_t *out, const char *application, uint8_t flags, uint32_t counter,
    const uint8_t *message, size_t length)
{
	uint8_t *at = out;
	int shift;

	SHA256((const uint8_t *)application, strlen(application), at);
	at += SHA256_DIGEST_LENGTH;
	*at++ = flags;
	for (shift = 24; shift >= 0; shift -= 8)
		*at++ = counter >> shift;
	SHA256(message, length, at);
	return at + SHA256_DIGEST_LENGTH - out;
}

static struct bytes
number(const BIGNUM *value)
{
	uint8_t buffer[32];

	BN_bn2binpad(value, buffer, sizeof(buffer));
	return copied(buffer, sizeof(buffer));
}

static int
put_signature(struct sk_sign_response *response, uint32_t alg, const uint8_t *signature, size_t length)
{
	ECDSA_SIG *pair;

	if (alg == ALG_ED25519) {
		response->r = copied(signature, length);
		return DONE;
	}
	if ((pair = d2i_ECDSA_SIG(NULL, &signature, (long)length)) == NULL)
		return ERR_GENERAL;
	response->r = number(ECDSA_SIG_get0_r(pair));
	response->s = number(ECDSA_SIG_get0_s(pair));
	ECDSA_SIG_free(pair);
	return DONE;
}

uint32_t
sk_api_version(void)
{
	return API_VERSION;
}

int
sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_length, const char *application, uint8_t flags,
    const char *pin, struct sk_option **options, struct sk_enroll_response **answer)
{
	struct sk_enroll_response *response;
	uint8_t public_key[128], *handle = NULL;
	size_t length = 0;
	int handle_length;
	EVP_PKEY *key;

	(void)challenge, (void)challenge_length, (void)application, (void)pin, (void)options;
	if (alg != ALG_ED25519 && alg != ALG_ECDSA)
		return ERR_UNSUPPORTED;
	key = alg == ALG_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
	response = calloc(1, sizeof(*response));
	if (key == NULL || response == NULL)
		return ERR_GENERAL;
	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, public_key, sizeof(public_key), &length) != 1)
		return ERR_GENERAL;
	if ((handle_length = i2d_PrivateKey(key, &handle)) <= 0)
		return ERR_GENERAL;
	response->flags = flags;
	response->public_key = copied(public_key, length);
	response->key_handle = copied(handle, handle_length);
	response->signature = copied("-", 1); /* of the attestation, which OpenSSH keeps and does not read */
	OPENSSL_free(handle);
	EVP_PKEY_free(key);
	*answer = response;
	return DONE;
}

int
sk_sign(uint32_t alg, const uint8_t *message, size_t message_length, const char *application, const uint8_t *handle,
    size_t handle_length, uint8_t flags, const char *pin, struct sk_option **options, struct sk_sign_response **answer)
{
	struct sk_sign_response *response = calloc(1, sizeof(*response));
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &handle, (long)handle_length);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t data[128], signature[128];
	size_t data_length, length = sizeof(signature);
	int result = ERR_GENERAL;

	(void)pin, (void)options;
	if (response == NULL || key == NULL || context == NULL)
		return ERR_GENERAL;
	response->flags = flags & (FLAG_USER_PRESENT | FLAG_USER_VERIFIED);
	response->counter = next_counter();
	data_length = to_be_signed(data, application, response->flags, response->counter, message, message_length);
	if (EVP_DigestSignInit(context, NULL, alg == ALG_ECDSA ? EVP_sha256() : NULL, NULL, key) == 1 &&
	    EVP_DigestSign(context, signature, &length, data, data_length) == 1)
		result = put_signature(response, alg, signature, length);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	*answer = response;
	return result;
}

int
sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *count)
{
	(void)pin, (void)options, (void)keys, (void)count;
	return ERR_UNSUPPORTED;
}
