//! A program in Rust (neighbours.py): collections, threads, a panic that is caught; five blocks left by leak_77.
//! Prints "done", ends with status 3.
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::channel;
use std::thread;

extern "C" {
    fn malloc(bytes: usize) -> *mut u8;
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn leak_77() -> *mut u8 {
    let block = unsafe { malloc(77) };
    std::hint::black_box(block)
}

fn work(number: usize) -> usize {
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    let mut ordered = BTreeMap::new();
    for i in 0..5000 {
        words.entry(format!("word {}", i % 97)).or_default().push(i * number);
        ordered.insert(i * 7919 % 5003, vec![0u8; i % 300]);
    }
    words.values().map(Vec::len).sum::<usize>() + ordered.len()
}

fn main() {
    let (sender, receiver) = channel();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || sender.send((number, work(number), vec![number; 1000])).unwrap())
        })
        .collect();
    drop(sender);
    let sum: usize = receiver.iter().map(|(_, sum, rows)| sum + rows.len()).sum();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| {
        let kept = vec![String::from("unwound"); 10];
        assert!(kept.is_empty(), "{}", kept[0]);
    });
    for _ in 0..5 {
        leak_77();
    }
    println!("{} {}\ndone", sum, caught.is_err());
    std::process::exit(3);
}
