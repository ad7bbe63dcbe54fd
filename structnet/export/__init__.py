"""A trained net as ONNX files, plan arrays and a short program that runs them."""
