package browsertest

import (
	"strconv"
	"testing"
	"testing/synctest"
)

// fakeTest is a test that ends when end is called.
type fakeTest struct {
	testing.TB
	name     string
	cleanups []func()
}

func (f *fakeTest) Name() string      { return f.name }
func (f *fakeTest) Cleanup(do func()) { f.cleanups = append(f.cleanups, do) }

func (f *fakeTest) end() {
	for _, cleanup := range f.cleanups {
		cleanup()
	}
}

// A test may open any number of profiles, also while others wait for their first one, and subtests count as their parent.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q queue
		users := make([]*fakeTest, atOnce)
		for i := range users {
			users[i] = &fakeTest{name: "Test" + strconv.Itoa(i)}
			q.admit(users[i])
		}
		admitted := make(chan *fakeTest, 1)
		go func() {
			next := &fakeTest{name: "TestNext"}
			q.admit(next)
			admitted <- next
		}()
		synctest.Wait()
		if len(admitted) > 0 {
			t.Fatalf("%d tests use the browser at once, want at most %d", atOnce+1, atOnce)
		}
		for range atOnce + 1 { // would hang if these had to wait
			q.admit(users[0])
		}
		subtest := &fakeTest{name: users[0].name + "/of it"}
		q.admit(subtest)

		users[0].end()
		synctest.Wait()
		if len(admitted) > 0 {
			t.Fatal("a test was admitted while a subtest of another one still used the browser")
		}
		subtest.end()
		(<-admitted).end()
	})
}
