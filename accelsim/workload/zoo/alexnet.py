"""AlexNet (Krizhevsky et al., NIPS 2012): the original, with grouped convolutions, as Caffe defines it."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder


def alexnet(*, classes: int = 1000, resolution: int = 227, groups: int = 2, name: str = "alexnet") -> Network:
    """Build AlexNet.

    Args:
        classes: Number of classes.
        resolution: Height and width of the image, in pixels.
        groups: Groups of conv2, conv4 and conv5; 2 as published.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter is out of range.
    """
    parameters = {"classes": classes, "resolution": resolution, "groups": groups}
    b = NetworkBuilder(name, (3, resolution, resolution), family="alexnet", parameters=parameters)
    x = b.conv_relu(b.input, 96, 11, stride=4, bias=True, name="conv1")
    x = b.lrn(x, name="norm1")
    x = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool1")
    x = b.conv_relu(x, 256, 5, padding=2, groups=groups, bias=True, name="conv2")
    x = b.lrn(x, name="norm2")
    x = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool2")
    x = b.conv_relu(x, 384, 3, padding=1, bias=True, name="conv3")
    x = b.conv_relu(x, 384, 3, padding=1, groups=groups, bias=True, name="conv4")
    x = b.conv_relu(x, 256, 3, padding=1, groups=groups, bias=True, name="conv5")
    x = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool5")
    for fc in ("fc6", "fc7"):
        x = b.relu(b.linear(x, 4096, bias=True, name=fc), name=f"{fc}/relu")
        x = b.dropout(x, name=f"{fc}/dropout")
    x = b.linear(x, classes, bias=True, name="fc8")
    b.softmax(x, name="softmax")
    return b.build()
