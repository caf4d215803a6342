// A program of Go's own stacks and threads that allocates in C (neighbours.py): cgo calls from many goroutines, blocks
// that one makes and another frees, five that are left by leak_77. Prints "done", ends with status 3.
package main

/*
#include <stdlib.h>
#include <string.h>
void *volatile sink;
__attribute__((noinline)) void leak_77(void) { sink = malloc(77); }
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

func makeBlocks(blocks chan<- unsafe.Pointer, group *sync.WaitGroup) {
	defer group.Done()
	for i := 0; i < 500; i++ {
		block := C.malloc(C.size_t(i%3000 + 1))
		C.memset(block, 1, C.size_t(i%3000+1))
		blocks <- C.realloc(block, C.size_t(i*7%9000+1))
		text := C.CString(fmt.Sprint("text ", i))
		C.free(unsafe.Pointer(text))
	}
}

func main() {
	blocks := make(chan unsafe.Pointer, 100)
	var makers, takers sync.WaitGroup
	for i := 0; i < 20; i++ {
		makers.Add(1)
		go makeBlocks(blocks, &makers)
	}
	for i := 0; i < 4; i++ {
		takers.Add(1)
		go func() {
			defer takers.Done()
			runtime.LockOSThread()
			for block := range blocks {
				C.free(block)
			}
		}()
	}
	makers.Wait()
	close(blocks)
	takers.Wait()
	runtime.GC()
	for i := 0; i < 5; i++ {
		C.leak_77()
	}
	fmt.Println("done")
	os.Exit(3)
}
