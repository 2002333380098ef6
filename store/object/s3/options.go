package s3

import (
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object"
)

// Options says which bucket to use and how. The zero value of each field that
// has a default means it.
type Options struct {
	// Endpoint is the service's URL without a path: https://host or
	// http://host:port. Default https://s3.amazonaws.com.
	Endpoint string
	// Region is the bucket's. Default us-east-1.
	Region string
	Bucket string
	// Prefix starts the names of all objects, without slashes around it.
	Prefix string
	// AccessKey and SecretKey sign the requests; both empty: they are not
	// signed. SessionToken belongs to temporary keys.
	AccessKey, SecretKey, SessionToken string
	// VirtualHost addresses the bucket as a host name, as AWS prefers.
	// Otherwise it is the beginning of the path, which every service knows.
	VirtualHost bool
	// Timeout is how long one request may take, a part of an upload for
	// instance. Default 30s.
	Timeout time.Duration
	// Retries is how often a request that failed is sent again. Default 3.
	Retries int
	// PartSize is how many bytes an upload holds in memory before it goes over
	// to sending parts. Default 8 MiB, at least 5 MiB.
	PartSize int
}

const (
	defaultEndpoint = "https://s3.amazonaws.com"
	defaultRegion   = "us-east-1"
	minPartSize     = 5 << 20
	// What a path may ask for.
	minTimeout = 50 * time.Millisecond
	maxTimeout = 10 * time.Minute
	maxRetries = 20
)

func (o Options) withDefaults() Options {
	if o.Endpoint == "" {
		o.Endpoint = defaultEndpoint
	}
	if o.Region == "" {
		o.Region = defaultRegion
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Retries <= 0 {
		o.Retries = 3
	}
	if o.PartSize <= 0 {
		o.PartSize = 8 << 20
	}
	o.PartSize = max(o.PartSize, minPartSize)
	return o
}

// secrets is a storage's credentials as users write them.
type secrets struct {
	AccessKey    string `json:"access_key_id"`
	SecretKey    string `json:"secret_access_key"`
	SessionToken string `json:"session_token"`
	Endpoint     string `json:"endpoint"`
	Region       string `json:"region"`
}

// ParseOptions reads a storage's path and credentials.
//
// The path is s3://bucket/prefix, with the parameters endpoint, region, style
// (path or virtual), timeout (of one request, 30s for instance) and retries (of
// a request that failed) behind a question mark. The credentials are a JSON
// object with access_key_id, secret_access_key, session_token, endpoint and
// region, or empty. Errors have the code INVALID_SQL, INVALID_JSON for
// credentials that are no JSON; they never hold a secret.
func ParseOptions(path, credentials string) (Options, error) {
	var o Options
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return o, dberr.New(dberr.InvalidSQL, "The path of an s3 storage is not an address of the form s3://bucket/prefix.")
	}
	o.Bucket = u.Host
	o.Prefix = strings.Trim(u.Path, "/")
	if o.Prefix != "" && object.CheckName(o.Prefix) != nil {
		return o, dberr.Newf(dberr.InvalidSQL, "The prefix %q of an s3 storage is not a plain path.", o.Prefix)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, dberr.New(dberr.InvalidSQL, "The parameters in the path of an s3 storage cannot be read.")
	}
	for key, values := range query {
		v := values[len(values)-1]
		switch {
		case key == "endpoint":
			o.Endpoint = v
		case key == "region":
			o.Region = v
		case key == "style" && (v == "path" || v == "virtual"):
			o.VirtualHost = v == "virtual"
		case key == "timeout":
			if o.Timeout, err = time.ParseDuration(v); err != nil || o.Timeout < minTimeout || o.Timeout > maxTimeout {
				return o, dberr.Newf(dberr.InvalidSQL, "The timeout of an s3 storage must lie between %v and %v, not be %q.", minTimeout, maxTimeout, v)
			}
		case key == "retries":
			if o.Retries, err = strconv.Atoi(v); err != nil || o.Retries < 1 || o.Retries > maxRetries {
				return o, dberr.Newf(dberr.InvalidSQL, "The retries of an s3 storage must lie between 1 and %d, not be %q.", maxRetries, v)
			}
		default:
			return o, dberr.Newf(dberr.InvalidSQL, "The path of an s3 storage has the unknown parameter %s=%s.", key, v).
				WithHint("There are endpoint, region, style (path or virtual), timeout and retries.")
		}
	}
	if credentials != "" {
		var s secrets
		d := json.NewDecoder(strings.NewReader(credentials))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			return o, badCredentials()
		}
		if _, err := d.Token(); err != io.EOF {
			return o, badCredentials()
		}
		o.AccessKey, o.SecretKey, o.SessionToken = s.AccessKey, s.SecretKey, s.SessionToken
		if s.Endpoint != "" {
			o.Endpoint = s.Endpoint
		}
		if s.Region != "" {
			o.Region = s.Region
		}
	}
	filled := o.withDefaults()
	_, _, err = filled.check()
	return o, err
}

func badCredentials() error {
	return dberr.New(dberr.InvalidJSON, "The credentials of an s3 storage cannot be read.").
		WithHint(`Write a JSON object: {"access_key_id": "…", "secret_access_key": "…"}; session_token, endpoint and region may be added.`)
}

// check gives the endpoint's host and whether it is reached by TLS.
func (o *Options) check() (host string, tls bool, err error) {
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil:
		return "", false, dberr.Newf(dberr.InvalidSQL, "The endpoint %s of an s3 storage is not of the form https://host:port.", strconv.Quote(o.Endpoint))
	case o.Bucket == "":
		return "", false, dberr.New(dberr.InvalidSQL, "An s3 storage needs the name of a bucket.")
	case (o.AccessKey == "") != (o.SecretKey == ""):
		return "", false, dberr.New(dberr.InvalidSQL, "The credentials of an s3 storage need both access_key_id and secret_access_key.")
	}
	return u.Host, u.Scheme == "https", nil
}
