"""HTTP on a connection, once for every backend that has a hand on it."""
