package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progressBar shows the progress of a long command on a terminal, and nothing elsewhere.
type progressBar struct{ to io.Writer }

func newProgressBar(w io.Writer) *progressBar {
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progressBar{to: w}
		}
	}
	return &progressBar{to: io.Discard}
}

// eraseLine clears the current line of a terminal.
const eraseLine = "\r\x1b[K"

// copying draws how much has been copied.
func (p *progressBar) copying(done, total int64) { p.part("copying", done, total) }

// part draws how much has been done.
func (p *progressBar) part(doing string, done, total int64) {
	const width = 40
	total = max(total, 1)
	done = min(done, total)
	filled := int(width * done / total)
	fmt.Fprintf(p.to, "%s%s [%s%s] %3d %%", eraseLine, doing,
		strings.Repeat("#", filled), strings.Repeat(".", width-filled), 100*done/total)
}

// say shows a step without known progress.
func (p *progressBar) say(doing string) { fmt.Fprint(p.to, eraseLine+doing+" …") }

// clear removes the bar.
func (p *progressBar) clear() { fmt.Fprint(p.to, eraseLine) }
