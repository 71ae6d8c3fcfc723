"""One self-contained page that shows results, and a server that shows it live on loopback."""
