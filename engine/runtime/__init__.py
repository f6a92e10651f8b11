"""Executors: the same graphs on ONNX Runtime, OpenVINO or TensorRT behind one small protocol."""
