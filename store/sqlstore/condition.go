package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"apikeyd/store"
)

// condition says whether a database can be trusted. Damage latches until the database is opened again, because nothing
// shows whether it was repaired meanwhile.
type condition struct {
	dialect *dialect

	lost      atomic.Bool // a file was not in its place at the last look
	suspended atomic.Bool // no change is made until the outcome of an earlier one is known
	damage    atomic.Pointer[error]
}

// damaged returns the damage that was found, or nil.
func (c *condition) damaged() error {
	if damage := c.damage.Load(); damage != nil {
		return *damage
	}
	return nil
}

// err returns why the database cannot be trusted, or nil.
func (c *condition) err() error {
	if damage := c.damaged(); damage != nil {
		return damage
	}
	if c.lost.Load() {
		// What it contains may be out of date.
		return fmt.Errorf("%w: the database was removed or replaced", store.ErrUnavailable)
	}
	return nil
}

// translate turns an error of the driver into one of the store's, and latches damage. An error of the store's
// stays as it is.
func (c *condition) translate(err error) error {
	if err != nil && !errors.Is(err, store.ErrUncertain) && !errors.Is(err, store.ErrUnavailable) {
		err = c.dialect.translate(err)
	}
	if errors.Is(err, store.ErrDamaged) {
		c.damage.CompareAndSwap(nil, &err)
	}
	return err
}

// during translates the error of a call that ran under a context. If the context ended, that is the cause,
// whatever the driver calls it.
func (c *condition) during(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return c.translate(err)
}

// guarded runs a function that reads the file through mapped memory. If a part is missing there, such as the end of a
// truncated file, reading it is a fault, which would end the process.
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
