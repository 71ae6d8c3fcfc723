"""Folding of batch norms: the same network at inference, with one bias per channel where a batch norm was."""

from __future__ import annotations

from dataclasses import replace

from accelsim.workload.network import Network


def fold_batch_norms(network: Network) -> Network:
    """Return the network without the batch norms that fold into the layer before them.

    A batch norm that is the one reader of a convolution or linear layer scales its weights and becomes its bias; one
    that follows anything else stays, as in pre-activation blocks. Its gamma and beta are parameters no more, the bias
    is.

    Args:
        network: The network; ``Network.folded_batch_norms`` names what goes.
    """
    gone = network.folded_batch_norms()
    source = {name: network.inputs[name][0] for name in gone}
    biased = set(source.values())
    layers = tuple(
        replace(layer, bias=True) if layer.name in biased else layer for layer in network if layer.name not in gone
    )
    inputs = {layer.name: tuple(source.get(name, name) for name in network.inputs[layer.name]) for layer in layers}
    return replace(network, layers=layers, inputs=inputs)
