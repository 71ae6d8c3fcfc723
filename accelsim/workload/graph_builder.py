"""The builder with the operations that imported networks need beside those of the published families."""

from __future__ import annotations

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer, Op, Shape
from accelsim.workload.network import NetworkBuilder, Tensor


class GraphBuilder(NetworkBuilder):
    """Builds a network from layers that name their shapes; a map's words may be read in another shape."""

    def matmul(
        self,
        x: Tensor,
        factor: Tensor,
        rows: int,
        inner: int,
        columns: int,
        *,
        groups: int = 1,
        name: str | None = None,
    ) -> Tensor:
        """Product of two maps, in each of ``groups`` groups ``rows`` x ``inner`` by ``inner`` x ``columns``.

        Raises:
            WorkloadError: A factor has another number of words.
        """
        resolved = self._name(Op.MATMUL, name)
        for what, tensor, sizes in (("first", x, (rows, inner)), ("second", factor, (inner, columns))):
            if tensor.shape.words != groups * sizes[0] * sizes[1]:
                raise WorkloadError(
                    f"layer {resolved}: the {what} factor, {tensor.name} of shape {tensor.shape}, does not have the "
                    f"words of {groups} x {sizes[0]} x {sizes[1]}"
                )
        layer = Layer(
            name=resolved,
            op=Op.MATMUL,
            G=groups,
            K=columns,
            C=inner,
            P=rows,
            input_shapes=(Shape(groups * inner, rows, 1), Shape(groups * columns, inner, 1)),
            block=self._block,
        )
        return self._add(layer, (x, factor))

    def elementwise(self, x: Tensor, function: str, *, params: int = 0, name: str | None = None) -> Tensor:
        """Any function of each element on its own, with ``params`` learned parameters."""
        return self._move(Op.ACTIVATION, (x,), x.shape, name, detail=function, params_other=params)

    def layer_norm(
        self, x: Tensor, function: str = "layer_norm", *, params: int = 0, name: str | None = None
    ) -> Tensor:
        """Normalisation with statistics of the image itself, and ``params`` values of gamma and beta."""
        return self._move(Op.LAYER_NORM, (x,), x.shape, name, detail=function, params_other=params)

    def reshape(self, x: Tensor, shape: Shape, *, name: str | None = None) -> Tensor:
        """The same words in another shape: a view."""
        return self._same_words(Op.RESHAPE, x, shape, name)

    def transpose(self, x: Tensor, shape: Shape, *, name: str | None = None) -> Tensor:
        """The same words in another order: a copy."""
        return self._same_words(Op.TRANSPOSE, x, shape, name)

    def slice(self, x: Tensor, shape: Shape, *, name: str | None = None) -> Tensor:
        """A part of a map, of any shape: a view.

        Raises:
            WorkloadError: It is larger than the map.
        """
        if shape.words > x.shape.words:
            resolved = self._name(Op.SLICE, name)
            raise WorkloadError(f"layer {resolved}: a slice of {shape} is larger than {x.name} of shape {x.shape}")
        return self._move(Op.SLICE, (x,), shape, name)

    def interleave(self, *tensors: Tensor, shape: Shape, name: str | None = None) -> Tensor:
        """One map made of the pixels of several, and of a constant where they leave any out.

        Raises:
            WorkloadError: They have more words than the map.
        """
        if sum(tensor.shape.words for tensor in tensors) > shape.words:
            resolved = self._name(Op.INTERLEAVE, name)
            raise WorkloadError(f"layer {resolved}: its inputs have more words than its output of {shape}")
        return self._move(Op.INTERLEAVE, tensors, shape, name)

    def move(self, *tensors: Tensor, shape: Shape, function: str, params: int = 0, name: str | None = None) -> Tensor:
        """Any other operation: reads its inputs once and writes its output."""
        return self._move(Op.MOVE, tensors, shape, name, detail=function, params_other=params)

    def _same_words(self, op: Op, x: Tensor, shape: Shape, name: str | None) -> Tensor:
        if shape.words != x.shape.words:
            resolved = self._name(op, name)
            raise WorkloadError(
                f"layer {resolved}: {x.name} of shape {x.shape} has {x.shape.words} words, {shape} has {shape.words}"
            )
        return self._move(op, (x,), shape, name)
