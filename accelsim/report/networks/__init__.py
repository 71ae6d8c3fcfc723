"""Report on the networks of the literature: published counts beside ours, and studies of what their ideas cost."""
