"""VGG: stacks of 3x3 convolutions and three linear layers."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.zoo.blocks import require_choice

CONVS_PER_STAGE = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""3x3 convolutions of the five stages: configurations A, B, D and E of the paper's Table 1."""

STAGE_CHANNELS = (64, 128, 256, 512, 512)


def vgg(
    *, depth: int = 16, batch_norm: bool = False, resolution: int = 224, classes: int = 1000, name: str = "vgg"
) -> Network:
    """VGG (Simonyan and Zisserman, arXiv:1409.1556, Table 1), every layer with biases.

    Args:
        depth: Layers with weights: 11, 13, 16 or 19.
        batch_norm: A batch norm after every convolution, a later variant that the paper does not have.
        resolution: Input height and width, in pixels.
        classes: Outputs of the last layer.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: No such depth.
    """
    require_choice("vgg", "depth", depth, CONVS_PER_STAGE)
    parameters = {"depth": depth, "batch_norm": batch_norm, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="vgg", parameters=parameters)
    x = b.input
    for stage, convs in enumerate(CONVS_PER_STAGE[depth]):
        with b.scope(f"stage{stage + 1}"):
            for _ in range(convs):
                conv = b.conv_bn if batch_norm else b.conv_relu
                x = conv(x, STAGE_CHANNELS[stage], 3, padding=1, bias=True)
            x = b.max_pool(x, 2)
    for layer in (6, 7):
        x = b.linear(x, 4096, bias=True, name=f"fc{layer}")
        x = b.dropout(b.relu(x, name=f"fc{layer}/relu"), name=f"fc{layer}/dropout")
    b.softmax(b.linear(x, classes, bias=True, name="fc8"), name="softmax")
    return b.build()
