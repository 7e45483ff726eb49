"""What a model server of the stack tells Prometheus: vLLM's names, the guardrail's counter, an application's own.

A registry per server, so that several can live in one process. As in vLLM, requests that were aborted or
failed are in none of these (vllm#31503): errors are counted at the gateway.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LABELS = ("model_name", "engine")
VERDICTS = ("pass", "violation", "error")
FINISHES = ("stop", "length")

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
TOKEN_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)


class ModelMetrics:
    """The counters of one server, nearly all there from the start: a first violation is a step from 0 to 1."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        labels = (model, "0")

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, (*LABELS, *more), registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, LABELS, registry=self.registry).labels(*labels)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, LABELS, registry=self.registry, buckets=buckets).labels(*labels)

        started = Gauge("process_start_time_seconds", "When these counters began.", registry=self.registry)
        started.set(time.time())
        self.running = gauge("vllm:num_requests_running", "Requests being answered.")
        self.waiting = gauge("vllm:num_requests_waiting", "Requests queued; this server never queues.")
        self.end_to_end = histogram("vllm:e2e_request_latency_seconds", "From request to last token.", SECONDS)
        self.first_token = histogram("vllm:time_to_first_token_seconds", "To the first token.", SECONDS)
        self.token_gap = histogram(
            "vllm:inter_token_latency_seconds", "Between two tokens, once for each token.", TOKEN_SECONDS
        )
        self.prompt_sizes = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", TOKENS)
        self.answer_sizes = histogram("vllm:request_generation_tokens", "Generated tokens of a request.", TOKENS)
        self.prompt_tokens = counter("vllm:prompt_tokens", "Prompt tokens read.").labels(*labels)
        self.generation_tokens = counter("vllm:generation_tokens", "Tokens generated.").labels(*labels)
        successes = counter("vllm:request_success", "Requests answered to the end.", "finished_reason")
        self.success = {reason: successes.labels(*labels, reason) for reason in FINISHES}
        judged = Counter("modelroute_judge", "Answers judged.", ("verdict",), registry=self.registry)
        self.verdicts = {verdict: judged.labels(verdict) for verdict in VERDICTS}
        self.checked = Counter("app_answers", "Answers that the application looked at.", registry=self.registry)
        # Not there before the first one, as counters with labels are.
        self.wrong = Counter("app_wrong_answers", "Wrong ones among them.", ("kind",), registry=self.registry)

    def answered(
        self,
        *,
        prompt_tokens: int,
        generated_tokens: int,
        first_token_s: float,
        total_s: float,
        finish_reason: str,
    ) -> None:
        """Count one request that was answered to the end; the tokens after the first came evenly."""
        self.end_to_end.observe(total_s)
        self.first_token.observe(first_token_s)
        gaps = generated_tokens - 1
        for _ in range(gaps):
            self.token_gap.observe((total_s - first_token_s) / gaps)
        self.prompt_sizes.observe(prompt_tokens)
        self.answer_sizes.observe(generated_tokens)
        self.prompt_tokens.inc(prompt_tokens)
        self.generation_tokens.inc(generated_tokens)
        self.success[finish_reason].inc()

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self.registry)
