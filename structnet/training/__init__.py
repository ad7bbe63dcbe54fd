"""Training, testing and using nets, by Lightning."""
