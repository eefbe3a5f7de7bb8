"""What decides: pure functions of bytes. No clock, environment, file, network or pygit2."""
