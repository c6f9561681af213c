"""The network as an ONNX model: any ONNX runtime settles it."""
