package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// collector is the process that is driven; its ports stay over restarts.
type collector struct {
	options *options
	ports   map[string]int
	process *exec.Cmd
}

func newCollector(o *options) *collector {
	c := &collector{options: o, ports: map[string]int{}}
	var held []net.Listener
	for _, name := range []string{"GRPC", "HTTP", "TOTALS", "LEVELS", "METRICS", "HEALTH"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		held = append(held, l)
		c.ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	for _, l := range held {
		l.Close()
	}
	return c
}

func (c *collector) url(port, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", c.ports[port], path)
}

// start starts it and does not wait.
func (c *collector) start() {
	output, err := os.OpenFile(c.options.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	defer output.Close()
	many := strconv.Itoa(2*c.options.series + 10_000)
	c.process = exec.Command(c.options.program, "--config", c.options.config)
	c.process.Stdout, c.process.Stderr = output, output
	c.process.Env = append(os.Environ(), "OTELCOL_STATE_DIR="+c.options.state, "OTELCOL_MEMORY_MIB=8192",
		"OTELCOL_UNKNOWN_SERIES="+many, "OTELCOL_MAX_SERIES="+strconv.Itoa(2*c.options.series+100_000),
		"OTELCOL_MAX_SENDERS="+strconv.Itoa(c.options.maxSenders), "OTELCOL_FSYNC="+strconv.FormatBool(c.options.fsync))
	for name, port := range c.ports {
		c.process.Env = append(c.process.Env, fmt.Sprintf("OTELCOL_%s_PORT=%d", name, port))
	}
	if err := c.process.Start(); err != nil {
		log.Fatal(err)
	}
}

// await waits until it takes exports and shows its totals, and tells how long that took.
func (c *collector) await() time.Duration {
	begun := time.Now()
	for _, check := range []string{c.url("HEALTH", "/"), c.url("TOTALS", "/metrics")} {
		for !answers(check) {
			if time.Since(begun) > time.Minute {
				c.kill()
				log.Fatal("the collector is not ready after a minute; see -log")
			}
			time.Sleep(time.Millisecond)
		}
	}
	return time.Since(begun)
}

func answers(url string) bool {
	r, err := http.Get(url)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func (c *collector) kill() {
	_ = c.process.Process.Kill() // it may have ended
	_ = c.process.Wait()
}

func (c *collector) stop() {
	_ = c.process.Process.Signal(syscall.SIGTERM)
	_ = c.process.Wait()
}

// memory is its resident set in MiB.
func (c *collector) memory() float64 { return float64(c.told("status", "VmRSS:")) / 1024 }

// written is the bytes that it gave the disk to write: a page that is written to again before it is on the disk counts once. It is 0 on tmpfs.
func (c *collector) written() int64 { return c.told("io", "write_bytes:") }

// told is a number that the kernel says of its process, by the file of it and how its line begins.
func (c *collector) told(file, begin string) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.process.Process.Pid, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, found := strings.CutPrefix(line, begin); found {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// cpu is the seconds of processor time that it used.
func (c *collector) cpu() float64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}
