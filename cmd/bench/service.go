package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// stage is what servers are started on: a seed, and copies of it that may be changed.
type stage struct {
	*run
	seed
	cluster  *cluster // nil unless PostgreSQL is measured
	postgres string   // the folder of its files
}

func (r *run) database() string { return filepath.Join(r.folder, "keys.db") }

// setUp copies the seed for the engines that are measured with its number of keys.
func (g *stage) setUp(ctx context.Context) (err error) {
	if g.measures(sqlite, g.keys) {
		if err := copyFile(g.seed.database(), g.run.database()); err != nil {
			return err
		}
	}
	if !g.measures(postgres, g.keys) {
		return nil
	}
	// Beside the run's folder, which is closed to the user who runs PostgreSQL.
	if g.postgres, err = os.MkdirTemp(g.Folder, "bench-postgres-*"); err != nil {
		return err
	}
	if g.postgres, err = filepath.Abs(g.postgres); err != nil {
		return err
	}
	if g.cluster, err = startCluster(ctx, g.postgres); err != nil {
		return err
	}
	return g.copyTo(ctx, g.cluster.url)
}

func (g *stage) tearDown() (err error) {
	if g.cluster != nil {
		err = g.cluster.stop()
	}
	return errors.Join(err, os.RemoveAll(g.postgres)) // nothing if it is empty
}

// serve starts the server that a row is about.
func (g *stage) serve(ctx context.Context, o row) (*process, error) {
	log := filepath.Join(g.run.folder, o.engine+".log")
	if o.engine == plain {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return launch(ctx, log, self, "plain", "--database", g.plain(), fmt.Sprintf("--map=%t", o.maps))
	}
	database := g.run.database()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--default-max-keys", "0"}
	if o.engine == postgres {
		database = g.cluster.url
		args = append(args, "--node", "bench")
	}
	args = append(args, "--database", database, "--verify-cache", strconv.Itoa(o.cache(g.keys)))
	return launch(ctx, log, g.Program, append(args, g.ServeFlag...)...)
}
