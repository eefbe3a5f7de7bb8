"""The work behind the hook shims, one file a hook event."""
