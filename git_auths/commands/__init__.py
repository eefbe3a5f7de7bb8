"""The subcommands of `git auths`, one file each: `add_arguments(parser)` and `run(args) -> int`."""
