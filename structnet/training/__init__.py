"""Training nets with Lightning, and using trained nets."""
