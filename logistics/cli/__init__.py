"""The command line: `logistics run`. It needs the extra `cli`."""
