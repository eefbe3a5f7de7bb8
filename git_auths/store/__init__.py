"""What touches the disk: the repository, the notes, the keys, the settings."""
