// Package apikey defines the API key: its secret, its fields and their rules, its status, and what it may
// do to other keys. It is pure: it stores nothing, takes the time as an argument (except for new ids),
// and knows neither HTTP nor SQL.
package apikey
