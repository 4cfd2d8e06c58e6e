package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// way is how one sender's exports go out: to where, for whom, and the status of the answer, as HTTP has it.
type way interface {
	post(target, sender string, body []byte) (int, error)
}

// newWay makes one of its own: a connection for `each` export, as boxes have it, or one that is `kept`, as other SDKs do, or `grpc`.
func newWay(connection string) way {
	switch connection {
	case "each", "kept":
		return &overHTTP{&http.Client{Transport: &http.Transport{DisableKeepAlives: connection == "each"}, Timeout: 10 * time.Second}}
	case "grpc":
		return &overGRPC{}
	}
	log.Fatalf("-connection %s: it is each, kept or grpc", connection)
	return nil
}

type overHTTP struct{ client *http.Client }

func (w *overHTTP) post(target, sender string, body []byte) (int, error) {
	r, err := newPost(target, body)
	if err != nil {
		return 0, err
	}
	if sender != "" {
		r.Header.Set("Telemetry-Sender-Id", sender)
	}
	return answered(w.client.Do(r))
}

type overGRPC struct{ client pmetricotlp.GRPCClient }

func (w *overGRPC) post(target, _ string, body []byte) (int, error) {
	if w.client == nil {
		connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return 0, err
		}
		w.client = pmetricotlp.NewGRPCClient(connection)
	}
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := w.client.Export(ctx, request)
	return http.StatusOK, err
}
