package console

import "net/http"

// noticeCookie carries a notice to the next page, once.
const noticeCookie = "apikeyd_notice"

// notice says what was just done. The key's name stands before the text and apart from it, because
// it may run from right to left.
type notice struct {
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

// notify shows a notice on the next page.
func (v *visit) notify(n notice) {
	http.SetCookie(v.w, v.forFrame(v.session, cookie(v.r, noticeCookie, v.sealer.seal(noticeCookie+v.session.ID, n), Path, 60)))
}

func (v *visit) takeNotice() (n notice) {
	value, found := cookieValue(v.r, noticeCookie)
	if !found {
		return n
	}
	http.SetCookie(v.w, v.forFrame(v.session, cookie(v.r, noticeCookie, "", Path, -1)))
	v.sealer.open(noticeCookie+v.session.ID, value, &n)
	return n
}
