// Package s3 keeps objects in a bucket of Amazon S3 or a service that speaks
// its protocol.
//
// Requests that fail are sent again a few times, each has a time limit, and
// what still fails has the code STORAGE_UNAVAILABLE. Reads name the version of
// the object that was opened, so that an object which is replaced meanwhile
// gives an error and never a mixture. Uploads hold one part in memory.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bucket is an object.Bucket in S3.
type Bucket struct {
	opts      Options
	prefix    string // of every key: empty, or ends in a slash
	client    minio.Core
	transport *http.Transport
}

var _ object.Bucket = (*Bucket)(nil)

// New prepares the use of a bucket. It sends no request: Probe tells whether
// the bucket can be used.
func New(opts Options) (*Bucket, error) {
	opts = opts.withDefaults()
	host, tls, err := opts.check()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: min(5*time.Second, opts.Timeout), KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   min(10*time.Second, opts.Timeout),
		ResponseHeaderTimeout: opts.Timeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}
	creds := credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	if opts.AccessKey != "" {
		creds = credentials.NewStaticV4(opts.AccessKey, opts.SecretKey, opts.SessionToken)
	}
	lookup := minio.BucketLookupPath
	if opts.VirtualHost {
		lookup = minio.BucketLookupDNS
	}
	client, err := minio.New(host, &minio.Options{
		Creds: creds, Secure: tls, Transport: transport, Region: opts.Region, BucketLookup: lookup,
		MaxRetries: opts.Retries + 1,
	})
	if err != nil {
		return nil, dberr.New(dberr.InvalidSQL, "The s3 storage cannot be used with these settings.").Wrap(err)
	}
	b := &Bucket{opts: opts, client: minio.Core{Client: client}, transport: transport}
	if opts.Prefix != "" {
		b.prefix = strings.Trim(opts.Prefix, "/") + "/"
	}
	return b, nil
}

// coded gives a failure its code and tells people what to look at.
func (b *Bucket) coded(act, name string, err error) error {
	if err == nil {
		return nil
	}
	r := minio.ToErrorResponse(err)
	switch {
	case r.Code == minio.NoSuchBucket:
		return dberr.Newf(dberr.StorageUnavailable, "The bucket %s does not exist.", b.opts.Bucket).Wrap(err)
	case name != "" && (r.Code == minio.NoSuchKey || r.StatusCode == http.StatusNotFound):
		return object.NotFound(name)
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return dberr.Newf(dberr.StorageUnavailable, "The storage refuses access to the bucket %s.", b.opts.Bucket).Wrap(err).
			WithHint("Look at the credentials and the permissions of the storage.")
	}
	return object.Unavailable(strings.TrimSpace(act+" "+name), err)
}

// limited gives a request its time limit.
func (b *Bucket) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.opts.Timeout, dberr.Newf(dberr.StorageUnavailable, "The storage did not answer within %v.", b.opts.Timeout))
}

// retried gives a request and its repetitions their time limit; each of them
// is given up by the transport.
func (b *Bucket) retried(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := time.Duration(b.opts.Retries+1) * b.opts.Timeout
	return context.WithTimeoutCause(ctx, limit, dberr.Newf(dberr.StorageUnavailable, "The storage did not answer within %v.", limit))
}

// ended prefers the reason why a request's context ended.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Create implements object.Bucket.
func (b *Bucket) Create(ctx context.Context, name string, opts object.CreateOptions) (object.Writer, error) {
	if err := object.CheckName(name); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &writer{b: b, ctx: ctx, cancel: cancel, name: name, opts: opts}, nil
}

// writer holds bytes up to a part. A smaller object is one request; a larger
// one goes as parts from a goroutine that Commit or Abort waits for.
type writer struct {
	b      *Bucket
	ctx    context.Context // holds for the writing, which this is
	cancel context.CancelFunc
	name   string
	opts   object.CreateOptions
	buf    []byte
	pipe   *io.PipeWriter // once parts are sent
	done   chan error
	closed bool
}

func (w *writer) put(ctx context.Context, r io.Reader, size int64) error {
	opts := minio.PutObjectOptions{
		ContentType: "application/octet-stream",
		PartSize:    uint64(w.b.opts.PartSize),
		NumThreads:  1,
	}
	if w.opts.IfAbsent {
		opts.SetMatchETagExcept("*")
	}
	_, err := w.b.client.Client.PutObject(ctx, w.b.opts.Bucket, w.b.prefix+w.name, r, size, opts)
	if r := minio.ToErrorResponse(err); err != nil && w.opts.IfAbsent &&
		(r.StatusCode == http.StatusPreconditionFailed || r.Code == minio.PreconditionFailed || r.Code == "ConditionalRequestConflict") {
		return object.Exists(w.name)
	}
	return w.b.coded("write", w.name, ended(ctx, err))
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, fmt.Errorf("write %s: %w", w.name, io.ErrClosedPipe)
	}
	if w.pipe != nil {
		return w.pipe.Write(p)
	}
	if len(w.buf)+len(p) <= w.b.opts.PartSize {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	r, pipe := io.Pipe()
	w.pipe, w.done = pipe, make(chan error, 1)
	first := bytes.NewReader(w.buf)
	go func() {
		// Parts have their time limit from the transport; the upload as a
		// whole takes as long as its writer.
		err := w.put(w.ctx, io.MultiReader(first, r), -1)
		if err != nil {
			_ = r.CloseWithError(err)
		}
		w.done <- err
	}()
	w.buf = nil
	return w.pipe.Write(p)
}

// Commit implements object.Writer.
func (w *writer) Commit() error {
	if w.closed {
		return fmt.Errorf("commit %s: %w", w.name, io.ErrClosedPipe)
	}
	w.closed = true
	defer w.cancel()
	if w.pipe != nil {
		_ = w.pipe.Close()
		return <-w.done
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Duration(w.b.opts.Retries+1)*w.b.opts.Timeout)
	defer cancel()
	err := w.put(ctx, bytes.NewReader(w.buf), int64(len(w.buf)))
	if err != nil && ctx.Err() != nil && w.ctx.Err() == nil {
		return object.Unavailable("write "+w.name, errors.New("time limit"))
	}
	return err
}

// Abort implements object.Writer.
func (w *writer) Abort() {
	if w.closed {
		return
	}
	w.closed = true
	w.cancel()
	if w.pipe != nil {
		// The upload ends with this error and removes its parts.
		_ = w.pipe.CloseWithError(context.Canceled)
		<-w.done
	}
}

// Open implements object.Bucket.
func (b *Bucket) Open(ctx context.Context, name string) (object.Handle, error) {
	st, err := b.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	return &handle{b: b, name: name, size: st.Size, etag: st.ETag}, nil
}

type handle struct {
	b    *Bucket
	name string
	size int64
	etag string
}

// ReadAt implements object.Handle. The client library sends a request again
// that gets no answer; an answer that breaks off is asked for again here.
func (h *handle) ReadAt(ctx context.Context, p []byte, off int64) error {
	switch {
	case off < 0 || off+int64(len(p)) > h.size:
		return fmt.Errorf("read %s: %w", h.name, io.ErrUnexpectedEOF)
	case len(p) == 0:
		return context.Cause(ctx)
	}
	var err error
	for range h.b.opts.Retries + 1 {
		if err = context.Cause(ctx); err != nil {
			return err
		}
		var again bool
		if again, err = h.read(ctx, p, off); err == nil || !again {
			break
		}
	}
	return h.b.coded("read", h.name, err)
}

func (h *handle) read(ctx context.Context, p []byte, off int64) (again bool, err error) {
	parent := ctx
	ctx, cancel := h.b.limited(ctx)
	defer cancel()
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+int64(len(p))-1); err != nil {
		return false, err
	}
	if h.etag != "" {
		if err := opts.SetMatchETag(h.etag); err != nil {
			return false, err
		}
	}
	body, _, _, err := h.b.client.GetObject(ctx, h.b.opts.Bucket, h.b.prefix+h.name, opts)
	if err != nil {
		return ctx.Err() != nil && parent.Err() == nil, ended(ctx, err)
	}
	_, err = io.ReadFull(body, p)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	return parent.Err() == nil, ended(ctx, err)
}

// Size implements object.Handle.
func (h *handle) Size() int64 { return h.size }

// Close implements object.Handle. There is no connection behind a handle.
func (h *handle) Close() error { return nil }

func (b *Bucket) stat(ctx context.Context, name string) (minio.ObjectInfo, error) {
	if err := object.CheckName(name); err != nil {
		return minio.ObjectInfo{}, err
	}
	ctx, cancel := b.retried(ctx)
	defer cancel()
	st, err := b.client.StatObject(ctx, b.opts.Bucket, b.prefix+name, minio.StatObjectOptions{})
	return st, b.coded("look at", name, ended(ctx, err))
}

// Stat implements object.Bucket.
func (b *Bucket) Stat(ctx context.Context, name string) (object.Info, error) {
	st, err := b.stat(ctx, name)
	if err != nil {
		return object.Info{}, err
	}
	return object.Info{Name: name, Size: st.Size, Modified: st.LastModified}, nil
}

// List implements object.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		if err := context.Cause(ctx); err != nil {
			yield(object.Info{}, err)
			return
		}
		lctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range b.client.ListObjectsIter(lctx, b.opts.Bucket, minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield(object.Info{}, b.coded("list", "", ended(ctx, o.Err)))
				return
			}
			name := strings.TrimPrefix(o.Key, b.prefix)
			if object.CheckName(name) != nil {
				continue // a folder's mark, or not ours
			}
			if !yield(object.Info{Name: name, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(object.Info{}, err)
		}
	}
}

// Delete implements object.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := object.CheckName(name); err != nil {
		return err
	}
	ctx, cancel := b.retried(ctx)
	defer cancel()
	err := b.client.RemoveObject(ctx, b.opts.Bucket, b.prefix+name, minio.RemoveObjectOptions{})
	err = b.coded("delete", name, ended(ctx, err))
	if errors.Is(err, object.ErrNotFound) {
		return nil
	}
	return err
}

// Probe implements object.Bucket.
func (b *Bucket) Probe(ctx context.Context) error { return object.ProbeByWriting(ctx, b) }

// Location implements object.Bucket.
func (b *Bucket) Location() string {
	return strings.TrimSuffix("s3://"+b.opts.Bucket+"/"+b.prefix, "/")
}

// Close implements object.Bucket.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}
