//! Takes a step so many times, for `benches/instructions.sh` to count the instructions: NAME TIMES. Without arguments it
//! names the steps.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]

mod steps;

fn main() {
    // Cargo adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [name, times] = arguments.as_slice() else {
        for (name, _) in steps::of(|_| true) {
            println!("{name}");
        }
        return;
    };
    // The other parts are not made, as that takes far longer than most steps.
    let of_part = |part: &str| name.split('/').next() == Some(part);
    let (_, mut take) = steps::of(of_part).find(|(known, _)| known == name).unwrap();
    for _ in 0..times.parse::<u32>().unwrap() {
        take();
    }
}
