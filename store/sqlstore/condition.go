package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"apikeyd/store"
)

// condition is whether what a database says can be believed. Damage stays until the
// database is opened again: what was mended meanwhile cannot be known.
type condition struct {
	dialect *dialect

	lost      atomic.Bool // a file was not where it was, when last looked for
	unsettled atomic.Bool // no change is made until the outcome of an earlier one is known
	damage    atomic.Pointer[error]
}

// damaged returns the damage that was found, or nil.
func (c *condition) damaged() error {
	if damage := c.damage.Load(); damage != nil {
		return *damage
	}
	return nil
}

// err says why the database cannot be believed, or nil.
func (c *condition) err() error {
	if damage := c.damaged(); damage != nil {
		return damage
	}
	if c.lost.Load() {
		// What it says may be long out of date.
		return fmt.Errorf("%w: the database was removed or replaced", store.ErrUnavailable)
	}
	return nil
}

// translate turns a driver's error into one of the store's, and remembers damage. One that
// is the store's already stays what it is.
func (c *condition) translate(err error) error {
	if err != nil && !errors.Is(err, store.ErrUncertain) && !errors.Is(err, store.ErrUnavailable) {
		err = c.dialect.translate(err)
	}
	if errors.Is(err, store.ErrDamaged) {
		c.damage.CompareAndSwap(nil, &err)
	}
	return err
}

// during is translate for what ran under a context: its end is the cause, whatever the
// driver calls it.
func (c *condition) during(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return c.translate(err)
}

// guarded runs what reads the files through mapped memory. What is missing there, as the
// end of a file that was cut off, is a fault that would end the process.
func (c *condition) guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if _, isFault := cause.(interface{ Addr() uintptr }); !isFault {
			panic(cause)
		}
		err = c.translate(fmt.Errorf("%w: a part of the file cannot be read", store.ErrDamaged))
	}()
	return do()
}
