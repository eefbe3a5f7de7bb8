"""What touches the network: one module a service. Values in, values out; nothing of a repository."""
