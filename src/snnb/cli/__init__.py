"""The command line: a file for each command, which calls one function and prints."""
