"""What is told of a call: events, and two listeners to them."""
