package object

// LocalError lets tests see how an operating system's error is coded.
var LocalError = localError
