"""The commands about the chain, one in each file."""
