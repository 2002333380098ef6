package repl

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
)

// PingLoop asks for the server's health n times and shows how long each answer
// took.
func (a *App) PingLoop(ctx context.Context, n int) error {
	ctx, stop := a.interruptible(ctx)
	defer stop()
	var took []time.Duration
	for i := range n {
		start := time.Now()
		h, err := a.client.Health(ctx)
		d := time.Since(start)
		if err != nil {
			if interrupted(ctx) {
				return ExitStatus(ExitInterrupt)
			}
			a.complain(a.connectionLine(a.client.URL(), err))
			return ExitStatus(ExitConnect)
		}
		took = append(took, d)
		fmt.Fprintf(a.out, "%s from %s: %s\n", render.Safe(h.Status), a.client.URL(), render.Duration(d))
		a.out.Flush()
		if i+1 < n {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ExitStatus(ExitInterrupt)
			}
		}
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	fmt.Fprintf(a.out, "%d answers: fastest %s, median %s, slowest %s\n", n,
		render.Duration(took[0]), render.Duration(took[n/2]), render.Duration(took[n-1]))
	return nil
}

// Bench runs a statement over and over from several clients and shows the
// throughput and a histogram of the latencies.
func (a *App) Bench(ctx context.Context, clients int, d time.Duration, sql string) error {
	ictx, stop := a.interruptible(ctx)
	defer stop()
	run, cancel := context.WithTimeout(ictx, d)
	defer cancel()
	// Buckets double from 16 µs, which bounds the memory of any run.
	const buckets = 24
	var mu sync.Mutex
	var hist [buckets]int64
	var first error
	count, failed := int64(0), int64(0)
	var slowest time.Duration
	start := time.Now()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for run.Err() == nil {
				t := time.Now()
				_, err := a.client.Exec(run, sql)
				took := time.Since(t)
				if run.Err() != nil {
					return
				}
				mu.Lock()
				if err != nil {
					failed++
					if first == nil {
						first = err
					}
				} else {
					count++
					b := 0
					for lim := 16 * time.Microsecond; took > lim && b < buckets-1; lim *= 2 {
						b++
					}
					hist[b]++
					slowest = max(slowest, took)
				}
				enough := failed > 100 && count == 0
				mu.Unlock()
				if enough {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if count == 0 {
		if first == nil {
			first = errors.New("no statement was finished")
		}
		a.report("", sql, first)
		return ExitStatus(ExitError)
	}
	fmt.Fprintf(a.out, "%s statements in %s with %d clients: %s/s, slowest %s\n", render.Thousands(count), render.Duration(took),
		clients, render.Thousands(int64(float64(count)/took.Seconds())), render.Duration(slowest))
	lo, hi, most := buckets, 0, int64(1)
	for i, n := range hist {
		if n > 0 {
			lo, hi, most = min(lo, i), max(hi, i), max(most, n)
		}
	}
	sum := int64(0)
	for i := lo; i <= hi; i++ {
		sum += hist[i]
		fmt.Fprintf(a.out, "≤ %10s  %6.2f %%  %s\n", render.Duration(16*time.Microsecond<<i), 100*float64(sum)/float64(count),
			strings.Repeat("#", int((hist[i]*50+most-1)/most)))
	}
	if failed > 0 {
		a.notice("%s statements failed, the first with: %s", render.Thousands(failed), render.Safe(first.Error()))
		return ExitStatus(ExitError)
	}
	if interrupted(ictx) {
		return ExitStatus(ExitInterrupt)
	}
	return nil
}
