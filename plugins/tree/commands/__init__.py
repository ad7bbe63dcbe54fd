"""Commands for trees: a module each, called by an entry point of group `structnet.commands`."""
