"""An ONNX graph under construction."""

from __future__ import annotations

import numpy as np

from ..networks import ACTIVATIONS, DenseNetwork

__all__ = ["Graph"]

#: ONNX operators of 2022, which every runtime since knows.
_OPSET, _IR_VERSION = 17, 8


class Graph:
    """Collects operators and constants; X and what is made of it have the network's dtype."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.nodes: list = []
        self.constants: list = []

    def constant(self, array, *, exact: bool = False) -> str:
        """Add an array, floats in the network's dtype unless `exact`, and return its name."""
        from onnx import numpy_helper

        array = np.asarray(array)
        if array.dtype.kind == "f" and not exact:
            array = array.astype(self.dtype)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes) -> str:
        """Add an operator, and return the name of its output."""
        from onnx import helper

        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def add_network(self, network: DenseNetwork, classes: np.ndarray, value: str) -> None:
        """Add the network behind `value`, with the graph's two outputs."""
        parameters = zip(network.weights, network.biases, strict=True)
        for i, (weight, bias) in enumerate(parameters):
            value = self.add("Gemm", value, self.constant(weight), self.constant(bias))
            if i < len(network.activations):
                value = self.add(ACTIVATIONS[network.activations[i]].onnx, value)
        if network.output == "softmax":
            self.add_outputs(value, classes)
        else:
            is_second = self.add("Greater", value, self.constant(np.zeros(1)))
            code = self.add("Cast", is_second, to=7)  # int64
            code = self.add("Squeeze", code, self.constant(np.array([1])))
            second = self.add("Sigmoid", value)
            first = self.add("Sub", self.constant(np.ones(1)), second)
            self.add("Concat", first, second, axis=1, output="probabilities")
            self.add_labels(classes, code)

    def add_outputs(self, value: str, classes: np.ndarray) -> None:
        """Add the graph's two outputs behind the logits of all classes."""
        self.add("Softmax", value, axis=1, output="probabilities")
        self.add_labels(classes, self.add("ArgMax", value, axis=1, keepdims=0))

    def add_labels(self, classes: np.ndarray, code: str) -> None:
        """Add the output "label", of the index that `code` holds."""
        labels = classes.astype(object) if classes.dtype.kind == "U" else classes
        self.add("Gather", self.constant(labels), code, output="label")

    def serialize(self, *shape: int) -> bytes:
        """Return the finished file, checked by onnx; samples have this shape."""
        import onnx
        from onnx import helper

        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        X = helper.make_tensor_value_info("X", kind, ["n_samples", *shape])
        outputs = [helper.make_empty_tensor_value_info(n) for n in ("label", "probabilities")]
        graph = helper.make_graph(self.nodes, "sklearn_capoz", [X], outputs, self.constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="sklearn_capoz"
        )
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model)
        return model.SerializeToString()
