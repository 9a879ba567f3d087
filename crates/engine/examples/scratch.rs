//! scratch
#![allow(warnings)]
use aurora_local::evaluate::*;
use std::time::Instant;
fn main(){
    let path=std::env::args().nth(1).unwrap();
    let path = if path=="pull" { let st=aurora_local::models::Store::new("/tmp/models"); let p=st.pull("smollm2", &mut |p| eprintln!("{p:?}")).unwrap(); p.path.to_str().unwrap().to_string() } else {path};
    let t=Instant::now();
    let e=Evaluator::load(path.as_ref()).unwrap();
    println!("load {:?}", t.elapsed());
    let text=std::fs::read_to_string("/work/shared/design.md").unwrap();
    let t=Instant::now(); let ids=e.encode(&text); println!("encode {} {:?}", ids.len(), t.elapsed());
    for n in [16usize,24,32,64,128,256,512] {
        let mut s=e.sequence(1024);
        let _=e.read(&mut s,&ids[..n],false).unwrap();
        let mut s=e.sequence(1024);
        let t=Instant::now();
        let _=e.read(&mut s,&ids[..n],false).unwrap();
        let dt=t.elapsed(); println!("prefill {n}: {:?} {:.0} tok/s", dt, n as f64/dt.as_secs_f64());
    }
    let mut s=e.sequence(1024);
    let mut tok=best(e.read(&mut s,&ids[..64],false).unwrap()[0]);
    let t=Instant::now(); let n=128;
    for _ in 0..n { tok=best(e.read(&mut s,&[tok],false).unwrap()[0]); }
    println!("decode {:.1} tok/s", n as f64/t.elapsed().as_secs_f64());
    for b in [2usize,4,8] {
        let mut ss:Vec<_>=(0..b).map(|_|e.sequence(512)).collect();
        let mut toks=vec![5u32;b];
        let t=Instant::now(); let n=32;
        for _ in 0..n { toks=e.read_together(&mut ss,&toks).unwrap(); }
        println!("decode batch {b}: {:.1} tok/s total", (n*b) as f64/t.elapsed().as_secs_f64());
    }
}
