"""The command line: parse, call one function of the API, print. One file a command."""
