"""The recogniser as a service: OpenAI's API and live streams over HTTP, WebSocket and Wyoming."""
