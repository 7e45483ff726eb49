"""What is made from the list of metrics: the tables of docs/metrics.md and the Grafana dashboard of the chart."""
