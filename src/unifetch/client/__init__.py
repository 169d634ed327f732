"""The call and its drivers: what a request means is decided here, once for every backend."""
