"""Import of networks: one small graph of operations, which ONNX and PyTorch are read into, and its lowering."""
