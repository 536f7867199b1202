// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// maxPrompt is above the 10 MiB that a request body may have in the field.
const maxPrompt = 64 << 20

var nAnswers atomic.Int64

func (n *node) inferenceRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/models", n.models)
	mux.HandleFunc("POST /v1/chat/completions", n.chat)
	mux.HandleFunc("POST /tokenize", tokenize)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# TYPE mocknode_answers_total counter\nmocknode_answers_total %d\n", nAnswers.Load())
	})
	return mux
}

func (n *node) models(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"object": "list",
		"data":   []any{map[string]any{"id": n.model, "object": "model", "owned_by": "mocknode"}},
	})
}

func tokenize(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Prompt string `json:"prompt"`
	}
	if !decode(w, r, &ask) {
		return
	}
	ids := []int{}
	for i := range strings.Fields(ask.Prompt) {
		ids = append(ids, i)
	}
	answer(w, map[string]any{"tokens": ids, "count": len(ids), "max_model_len": 32768})
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPrompt))
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

const answerText = "The tunnel carries each token as soon as it is written and nothing waits for the last one . "

// token is the i-th word of the endless answer.
func token(i int) string {
	words := strings.SplitAfter(answerText, " ")
	return words[i%(len(words)-1)]
}

func (n *node) chat(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Stream    bool `json:"stream"`
		MaxTokens int  `json:"max_tokens"`
	}
	if !decode(w, r, &ask) {
		return
	}
	tokens := ask.MaxTokens
	if tokens <= 0 {
		tokens = n.tokens
	}
	id := fmt.Sprintf("chatcmpl-%d", nAnswers.Add(1))
	if ask.Stream {
		n.streamTokens(w, r, id, tokens)
		return
	}
	var text strings.Builder
	for i := range tokens {
		text.WriteString(token(i))
	}
	message := map[string]any{"role": "assistant", "content": text.String()}
	answer(w, n.completion(id, "chat.completion", "message", message, "stop"))
}

// streamTokens sends the answer as vLLM does: headers at once, one event per token, then [DONE].
func (n *node) streamTokens(w http.ResponseWriter, r *http.Request, id string, tokens int) {
	h, err := n.takeOver(w, r)
	if err != nil {
		return
	}
	defer h.end()
	go h.watch()
	h.writeHead("text/event-stream; charset=utf-8")
	send := func(delta map[string]any, reason any) {
		chunk, _ := json.Marshal(n.completion(id, "chat.completion.chunk", "delta", delta, reason))
		h.writeChunk(fmt.Appendf(nil, "data: %s\n\n", chunk))
	}
	start := time.Now().Add(n.firstTokenDelay)
	for i := range tokens {
		if !h.waitUntil(start.Add(time.Duration(i) * n.tokensDelay)) {
			return
		}
		delta := map[string]any{"content": token(i)}
		if i == 0 {
			delta["role"] = "assistant"
		}
		send(delta, nil)
	}
	send(map[string]any{}, "stop")
	h.writeChunk([]byte("data: [DONE]\n\n"))
	h.writeLastChunk()
}

// completion is one answer object, or one part of it; key is where OpenAI's format puts the text.
func (n *node) completion(id, object, key string, text map[string]any, reason any) map[string]any {
	choice := map[string]any{"index": 0, key: text, "finish_reason": reason}
	return map[string]any{
		"id": id, "object": object, "created": time.Now().Unix(), "model": n.model,
		"choices": []any{choice},
	}
}
