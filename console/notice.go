package console

import "net/http"

// noticeCookie carries what was just done to the page that comes next, once.
const noticeCookie = "apikeyd_notice"

// notify tells the next page what was done.
func (v *visit) notify(text string) {
	http.SetCookie(v.w, cookie(v.r, noticeCookie, v.seal.close(noticeCookie+v.session.ID, text), Path, 60))
}

func (v *visit) takeNotice() string {
	found, err := v.r.Cookie(noticeCookie)
	if err != nil {
		return ""
	}
	http.SetCookie(v.w, cookie(v.r, noticeCookie, "", Path, -1))
	var text string
	v.seal.open(noticeCookie+v.session.ID, found.Value, &text)
	return text
}
