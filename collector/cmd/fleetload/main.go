// fleetload drives a collector and says what it is worth: `load` measures throughput, latency, memory, scrape and restart; `kill` kills it
// under load, loses answers, and compares every count with the truth; `fleet` sends at a pace, as so many processes do, and measures what
// that takes. It starts the collector itself, on free ports, and ends it, unless `fleet -url` names something that takes OTLP.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"
)

// options are the flags of all commands.
type options struct {
	program, config, state, log string
	seconds                     time.Duration
	senders, points, series     int
	histograms                  bool
	numbered                    bool
	pause                       time.Duration
	lose                        float64
	killEvery                   time.Duration
	cumulative                  int
	seed                        int64
	fsync                       bool

	url, temporality string
	rate             float64
	warm, life, idle time.Duration
	connection       string
	levels           int
	maxSenders       int
	atOnce           int
}

// commands say what they found, and whether that is right.
var commands = map[string]func(*options) (any, bool){
	"load":  func(o *options) (any, bool) { return load(o), true },
	"kill":  kill,
	"fleet": runFleet,
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("fleetload: ")
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		log.Fatal("usage: fleetload load|kill|fleet [flags]; fleetload load -h lists them")
	}
	o := flags(os.Args[1], os.Args[2:])
	directory, err := os.MkdirTemp(o.state, "fleetload-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	o.state = directory
	result, right := commands[os.Args[1]](o)
	line, err := json.Marshal(result)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	if !right {
		os.RemoveAll(directory)
		os.Exit(1)
	}
}

func flags(command string, arguments []string) *options {
	o := &options{}
	f := flag.NewFlagSet(command, flag.ExitOnError)
	f.StringVar(&o.program, "otelcol", "otelcol", "the collector's program")
	f.StringVar(&o.config, "config", "otel-collector.durable.yaml", "its configuration")
	f.StringVar(&o.state, "state", "", "where its store is made, for the time of the run; default: the temporary directory")
	f.StringVar(&o.log, "log", os.DevNull, "where it logs")
	f.DurationVar(&o.seconds, "for", 10*time.Second, "how long exports are sent")
	f.IntVar(&o.senders, "senders", 8, "senders at once")
	f.IntVar(&o.points, "points", 500, "points of an export")
	f.IntVar(&o.series, "series", 2_000, "series of all senders together")
	f.BoolVar(&o.histograms, "histograms", false, "histograms of 12 bounds instead of counters")
	f.BoolVar(&o.numbered, "numbered", true, "senders name themselves and number their exports")
	f.DurationVar(&o.pause, "pause", 0, "longest pause of a sender between exports")
	f.Float64Var(&o.lose, "lose", 0, "kill, fleet -url: share of the answers that are lost on their way")
	f.DurationVar(&o.killEvery, "kill-every", time.Second, "kill: mean time between two kills; 0 is none")
	f.IntVar(&o.cumulative, "cumulative", 0, "kill: how many of the senders report cumulatively and without numbers")
	f.Int64Var(&o.seed, "seed", 1, "kill: of all chances")
	f.BoolVar(&o.fsync, "fsync", false, "each commit is on the disk")
	f.StringVar(&o.url, "url", "", "fleet: where OTLP over HTTP is taken, instead of a collector of its own")
	f.StringVar(&o.temporality, "temporality", "delta", "fleet: what senders report, delta or cumulative")
	f.Float64Var(&o.rate, "rate", 20_000, "fleet: points per second of all senders together")
	f.DurationVar(&o.warm, "warm", 3*time.Second, "fleet: how long exports are sent before anything is measured")
	f.DurationVar(&o.life, "life", 0, "fleet: how long a sender lives before another one takes its place; 0 is for ever")
	f.DurationVar(&o.idle, "idle", 0, "fleet -url: pause after -for, after which senders go on for as long again")
	f.StringVar(&o.connection, "connection", "each", "fleet: a connection for each export, as boxes have it, one that is kept, or grpc")
	f.IntVar(&o.levels, "levels", 0, "fleet: series of its own that each sender reports of the present")
	f.IntVar(&o.atOnce, "at-once", 1_000_000, "fleet: exports under way at once, of all senders; the others wait for their turn")
	f.IntVar(&o.maxSenders, "max-senders", 100_000, "senders that the collector remembers")
	_ = f.Parse(arguments) // it ends the process itself
	return o
}
