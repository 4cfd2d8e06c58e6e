package fleetadmission

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

const codecName = "proto"

// GetGRPCServerOptions are what a receiver's server needs.
func (a *admission) GetGRPCServerOptions(context.Context) ([]grpc.ServerOption, error) {
	turns := &turns{admission: a, CodecV2: encoding.GetCodecV2(codecName)}
	return []grpc.ServerOption{
		grpc.MaxHeaderListSize(uint32(a.config.MaxHeaderBytes)), // gRPC's own bound is 16 MiB
		grpc.ConnectionTimeout(a.config.Timeout),
		grpc.InTapHandle(a.tap),
		grpc.StatsHandler(streams{}),
		grpc.ForceServerCodecV2(turns),
		grpc.ChainUnaryInterceptor(turns.end),
	}, nil
}

// tap lets a request begin, or refuses it before any of its message is read. A method that is not known ends at once, without it.
func (a *admission) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !strings.HasSuffix(info.FullMethodName, "/Export") {
		return ctx, nil
	}
	if !a.streams.take(1) {
		a.own.refuse(ctx, "grpc", refusedBusy)
		return ctx, status.Errorf(codes.Unavailable, "As many requests are under way as max_grpc_requests of fleet_admission lets there be, %d: "+
			"repeat this one later.", a.config.MaxGRPCRequests)
	}
	s := &stream{leave: func() { a.streams.give(1) }}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, ofStream{}, s), a.config.Timeout)
	context.AfterFunc(ctx, func() { cancel(); s.neverBegun() })
	return ctx, nil
}

// stream has a place among the requests until nothing of it is in memory: it may be over for its sender before.
type stream struct {
	mu          sync.Mutex
	begun, left bool
	leave       func()
}

// ofStream is where it is in the context of a request.
type ofStream struct{}

func (s *stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
}

func (s *stream) neverBegun() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.end()
	}
}

func (s *stream) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *stream) end() {
	if !s.left {
		s.left = true
		s.leave()
	}
}

// streams learns of the begin and the end of what handles a request.
type streams struct{}

func (streams) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if s, ok := ctx.Value(ofStream{}).(*stream); ok {
		s.begin()
	}
	return ctx
}

func (streams) HandleRPC(ctx context.Context, what stats.RPCStats) {
	if _, ok := what.(*stats.End); !ok {
		return
	}
	if s, ok := ctx.Value(ofStream{}).(*stream); ok {
		s.ended()
	}
}

func (streams) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (streams) HandleConn(context.Context, stats.ConnStats) {}

// turns decodes messages in turn; a turn is over when the message is counted.
type turns struct {
	encoding.CodecV2

	admission *admission
	ends      sync.Map // what ends a turn, by its decoded message
}

// Unmarshal waits for its turn without end: an error here would tell the sender that its message is wrong. Others end, so it comes.
func (t *turns) Unmarshal(data mem.BufferSlice, v any) error {
	end, err := t.admission.takeTurn(context.Background(), data.Len())
	if err != nil {
		return err
	}
	if err := t.CodecV2.Unmarshal(data, v); err != nil {
		end()
		return err
	}
	t.ends.Store(v, end)
	return nil
}

func (t *turns) end(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if end, ok := t.ends.LoadAndDelete(request); ok {
		defer end.(func())()
	}
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return handle(ctx, request)
}
