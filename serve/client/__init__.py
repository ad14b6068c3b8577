"""What the command line says to a server, over the same HTTP that anyone else would use."""
