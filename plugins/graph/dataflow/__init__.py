"""The data flow of Python functions, and questions about the variables they use."""
