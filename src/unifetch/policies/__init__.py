"""What a request means: pure decisions, each in a file of its own."""
